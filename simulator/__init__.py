"""A whole virtual depot that speaks the real protocols from the other side."""
