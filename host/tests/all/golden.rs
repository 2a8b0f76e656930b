//! Each pipeline's samples through the real component.
