//! What each request drew and held: energy, attribution and memory windows, pure over two streams.
