#include "../spmm.h"
