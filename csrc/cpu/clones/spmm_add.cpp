#include "../spmm_add.h"
