"""How the extension reaches the backend: connection, process, private environment. No bpy."""
