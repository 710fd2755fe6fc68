"""The landscape from an aeroplane: pictures of a metre a pixel and finer, and the services that give them."""
