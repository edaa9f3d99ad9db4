"""An anime-style portrait: `look` samples what it shows, `render` paints it."""
