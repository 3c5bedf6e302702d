"""The report's pictures: one file a picture, drawn by Altair and made SVG without a browser."""
