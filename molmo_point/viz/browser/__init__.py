"""A live view of an arm in the browser (extra `view`)."""
