#include "../segment.h"
