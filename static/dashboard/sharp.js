// Loaded before uPlot, which draws at the resolution of the screen. That is too coarse for paper; a ratio of 3 gives
// 288 pixels per inch.
window.devicePixelRatio = Math.max(3, window.devicePixelRatio);
