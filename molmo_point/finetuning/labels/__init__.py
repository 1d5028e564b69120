"""Labels of photographs from files: rows as PixMo has them, or a user's own."""
