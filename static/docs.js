// Declares the language of the API page, for screen readers.
document.documentElement.lang = "en";
