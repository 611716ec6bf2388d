"""The inner loops of decoder and slicer in C: one shared library, loaded with ctypes by `library.py`.

After a change, `make build` makes it anew. `decoder.c`, `sample.c`, `records.c`, `tables.c` and `sort.c` decode records
into sorted columns; `slices.c`, `settling.c` and `waiting.c` find who waited for a CPU.
"""
