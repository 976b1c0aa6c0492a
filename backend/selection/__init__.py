"""Which splats a tool selects: pure functions of a cloud, each bool [N]."""
