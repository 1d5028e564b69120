"""What the benchmark runs: our paths, the plain one, peers, and a reference with the official code's wastes."""
