// Stand-in for upstream's service worker.
self.addEventListener("install", () => self.skipWaiting());
