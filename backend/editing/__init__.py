"""Parts that editing methods are made of, and what goes into them and comes out."""
