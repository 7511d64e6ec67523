// Before uPlot: it draws as many pixels as the screen has, which is too coarse for paper. 3 are 288 to the inch.
window.devicePixelRatio = Math.max(3, window.devicePixelRatio);
