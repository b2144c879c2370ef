#include "../multi.h"
