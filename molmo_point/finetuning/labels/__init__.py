"""Labels of photographs from files: PixMo's own rows, or a user's."""
