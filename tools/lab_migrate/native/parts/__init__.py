"""The files of a native training, one part a module; each tells its template what it needs."""
