#include "../dropout.h"
