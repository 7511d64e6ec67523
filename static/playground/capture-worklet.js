// Runs on the audio thread: microphone samples become PCM16 frames of a tenth of a second, with their level.

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(Math.round(sampleRate / 10));
    this.filled = 0;
    this.peak = 0;
  }

  process([[samples]]) {
    for (const sample of samples ?? []) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.peak = Math.max(this.peak, Math.abs(clipped));
      this.frame[this.filled++] = Math.round(clipped * 32767);
      if (this.filled === this.frame.length) {
        this.port.postMessage({ pcm: this.frame.slice().buffer, level: this.peak });
        this.filled = this.peak = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
