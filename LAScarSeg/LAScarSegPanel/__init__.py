"""The panel's sections: each file connects one section of Resources/UI/LAScarSeg.ui with `LAScarSegLib.session`."""
