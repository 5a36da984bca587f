//! Results to groups: what a report shows, computed once.
