// The API page in a language that screen readers know of.
document.documentElement.lang = "en";
