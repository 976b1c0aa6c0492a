"""What the extension decides, without bpy and without sockets."""
