#include "../sddmm.h"
