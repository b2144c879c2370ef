#include "../scatter.h"
