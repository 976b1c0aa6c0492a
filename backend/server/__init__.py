"""The only room of the backend that knows sockets."""
