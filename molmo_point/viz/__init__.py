"""Pictures of answers: points on the image, targets in the point cloud."""
