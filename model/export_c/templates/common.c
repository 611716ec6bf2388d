/*
$about
 */
#include "$name.h"

enum { MARKS = ${NAME}_MARKS, END_STATES = ${NAME}_END_STATES, UNKNOWN_MARK = 0, UNKNOWN_STATE = END_STATES - 1 };

$names

static int32_t known_mark(int32_t mark)
{
    return mark >= 0 && mark < MARKS ? mark : UNKNOWN_MARK;
}

$code

size_t ${name}_state_bytes(void)
{
    return sizeof(${name}_state);
}
