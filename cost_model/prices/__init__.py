"""What AWS and others charge: a dated snapshot, and typed look-ups that never answer an unknown with zero."""
