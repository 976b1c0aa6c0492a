"""The numbers that make two rasterizers draw the same picture; gsplat 1.5.3's."""

ALPHA_MIN = 1.0 / 255.0  # a splat fainter than this at a pixel is skipped
ALPHA_MAX = 0.999
TRANSMITTANCE_MIN = 1e-4  # a pixel is finished before its transmittance falls to this
RADIUS_SIGMAS = 3.33  # exp(-3.33^2 / 2) is just below ALPHA_MIN
FIELD_OF_VIEW_MARGIN = 0.3  # the projection's Jacobian is frozen this far outside the picture (in half widths)
TILE_SIZE = 16
