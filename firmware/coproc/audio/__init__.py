# From samples to features: the ring, the front end and the end of an utterance.
