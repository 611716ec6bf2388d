"""The inner loops in C: one shared library, which `library` loads with ctypes. `make build` compiles it again.

decoder.c (configured from Python), records.c, sample.c, string_table.c, tables.c and sort.c turn records into sorted
columns; switch_chain.c checks the columns of switches. tracker.c, switch_out.c and run_queue.c find which tasks wait
for a CPU. A function that reads bytes of a recording checks every bound, because anybody may have written them.
"""
