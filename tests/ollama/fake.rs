//! What a real ollama cannot be made to do at will.
