"""Numbers of the perf.data format, under the names that they have in the kernel's sources."""

from __future__ import annotations

# include/uapi/linux/perf_event.h: enum perf_type_id
PERF_TYPE_TRACEPOINT = 2

# include/uapi/linux/perf_event.h: enum perf_event_type, records that the kernel writes
PERF_RECORD_LOST = 2
PERF_RECORD_COMM = 3
PERF_RECORD_EXIT = 4
PERF_RECORD_FORK = 7
PERF_RECORD_SAMPLE = 9

# tools/lib/perf/include/perf/event.h: enum perf_user_event_type, records that perf adds
PERF_RECORD_USER_TYPE_START = 64
PERF_RECORD_HEADER_ATTR = 64
PERF_RECORD_HEADER_TRACING_DATA = 66
PERF_RECORD_ID_INDEX = 69
PERF_RECORD_AUXTRACE = 71
PERF_RECORD_THREAD_MAP = 73
PERF_RECORD_HEADER_FEATURE = 80
PERF_RECORD_COMPRESSED = 81
PERF_RECORD_FINISHED_INIT = 82
PERF_RECORD_COMPRESSED2 = 83

# simpleperf (Android), record.h: its own records, whose size has 32 bits: the upper 16 are in the place of misc
SIMPLEPERF_TYPE_START = 32768
SIMPLEPERF_TRACING_DATA = 32777

# include/uapi/linux/perf_event.h: enum perf_event_sample_format
PERF_SAMPLE_IP = 1 << 0
PERF_SAMPLE_TID = 1 << 1
PERF_SAMPLE_TIME = 1 << 2
PERF_SAMPLE_ADDR = 1 << 3
PERF_SAMPLE_READ = 1 << 4
PERF_SAMPLE_CALLCHAIN = 1 << 5
PERF_SAMPLE_ID = 1 << 6
PERF_SAMPLE_CPU = 1 << 7
PERF_SAMPLE_PERIOD = 1 << 8
PERF_SAMPLE_STREAM_ID = 1 << 9
PERF_SAMPLE_RAW = 1 << 10
PERF_SAMPLE_IDENTIFIER = 1 << 16

# include/uapi/linux/perf_event.h: enum perf_event_read_format
PERF_FORMAT_TOTAL_TIME_ENABLED = 1 << 0
PERF_FORMAT_TOTAL_TIME_RUNNING = 1 << 1
PERF_FORMAT_ID = 1 << 2
PERF_FORMAT_GROUP = 1 << 3
PERF_FORMAT_LOST = 1 << 4

# include/uapi/linux/perf_event.h: bit numbers among the flags of struct perf_event_attr
ATTR_INHERIT = 1
ATTR_EXCLUDE_KERNEL = 5
ATTR_FREQ = 10
ATTR_ENABLE_ON_EXEC = 12
ATTR_USE_CLOCKID = 25
ATTR_WRITE_BACKWARD = 27

# include/uapi/linux/time.h: clock ids, as `perf record -k` names them
CLOCK_NAMES = {0: "realtime", 1: "monotonic", 4: "monotonic_raw", 7: "boottime", 11: "tai"}

# tools/perf/util/header.h: numbers of the features, the sections behind the data
HEADER_TRACING_DATA = 1
HEADER_HOSTNAME = 3
HEADER_OSRELEASE = 4
HEADER_VERSION = 5
HEADER_ARCH = 6
HEADER_NRCPUS = 7
HEADER_CPUDESC = 8
HEADER_CMDLINE = 11
HEADER_EVENT_DESC = 12
HEADER_SAMPLE_TIME = 21
HEADER_DIR_FORMAT = 24
HEADER_COMPRESSED = 27
HEADER_CLOCK_DATA = 29
