"""Writers: each takes the tree that every reader gives."""
