"""An anime-style portrait: `look` chooses what it shows, `paint` turns that into pixels."""
