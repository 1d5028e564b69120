"""The frozen feature network of taught objects, converted from published weights."""
