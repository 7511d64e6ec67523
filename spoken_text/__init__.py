"""How written Malay, English, Mandarin and Tamil are spoken. Plain Python: imports no other part of the project."""
