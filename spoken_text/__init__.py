"""How written Malay, English, Mandarin and Tamil are said. Plain Python: imports nothing else of the project."""
