//! llm-sim: a simulated server with known timing and faults.
