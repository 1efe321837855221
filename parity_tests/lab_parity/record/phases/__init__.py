"""One phase per file. Each offers functions that turn what they are shown into rows of the trace."""
