"""Teaching: from shown objects to a library of taught objects."""
