//! The program itself: what a person sees of a pull, and what a death in the middle of one leaves.
