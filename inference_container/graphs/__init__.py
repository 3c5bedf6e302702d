"""Model graphs for OpenVINO, made in memory from an artifact's tensors: one file a family, no model file.

An encoder's inputs, of B sequences that are padded to L tokens; it has those of them that its model needs:

    embeddings         f32 (B, L, hidden)  rows of the word table; the table itself is in no graph
    type_ids           i32 (B, L)          token types, where the model tells them apart
    mask               f32 (B, 1, 1, L)    0, or bert.MASKED for padding
    nearness           f32 (1, 1, L, L)    bert.nearness, for ALiBi
    nearness_to_first  f32 (1, 1, 1, L)    its first row

It gives the last layer's output for each sequence's first token, f32 (B, hidden). `head` makes logits of these.
"""
