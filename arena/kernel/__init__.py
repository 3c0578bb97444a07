"""Chess and tree search on arrays, compiled by numba."""
