"""molmo_point on ROS 2: nodes, a client and a subscriber. The SDK does the work, these carry messages."""
