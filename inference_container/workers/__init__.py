"""Processes that compute, each with an interpreter, an engine and cores of its own.

    front                                      worker (python -m inference_container.workers)
    spawn: socketpair ───────────────────────► cores set apart, engine imported
    manifest checked, file by file
    LOAD  ───────────────────────────────────► weights mapped, model built, one batch scored
          ◄─────────────────────────────────── READY, or REFUSED with the reason
    BATCH ───────────────────────────────────► Engine.score
          ◄─────────────────────────────────── SCORES, or FAILED with the exception's name
    end of the socket, however it comes ─────► the end

The front holds no engine: what an engine does to its process (threads, memory, crashes) stays there, and a process
that ends is started again. Weights and embeddings are mapped from one file, so workers share them in memory.
"""
