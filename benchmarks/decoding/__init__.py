"""Speed of decoding, compared with plain decoding, peers, and a reference that wastes as the official code does."""
